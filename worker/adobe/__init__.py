"""Adobe Experience Platform: access tokens, streaming ingestion, profile look-up, replies."""
