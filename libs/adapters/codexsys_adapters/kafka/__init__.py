"""The queue on Kafka."""

from codexsys_adapters.kafka.queue import KafkaQueue

__all__ = ["KafkaQueue"]
