"""RabbitMQ: topology, connection, consuming, publishing again, and the dead letters."""
