"""The API, one file per family of endpoints."""
