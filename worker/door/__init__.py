"""The front door: takes Didomi's webhooks over HTTP, and says yes once RabbitMQ has them."""
