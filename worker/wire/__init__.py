"""AMQP below RabbitMQ's meaning: connections, channels, frames and properties."""
