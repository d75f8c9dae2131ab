"""The customers' integrations: their configuration, its loading, reloading and look-up."""
