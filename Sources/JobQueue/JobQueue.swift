// The durable queue.
