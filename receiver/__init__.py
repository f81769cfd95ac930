"""The way in: takes webhooks, commits them to the queue, answers. Knows no routes and does no work."""
