"""Delivers consent events from RabbitMQ to Adobe Experience Platform."""
