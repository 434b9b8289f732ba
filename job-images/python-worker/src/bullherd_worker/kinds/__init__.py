"""Job kinds that come with the runtime."""
