"""A local Apify: enough of the platform's API to start real Actors, read what they left and receive their webhooks."""
