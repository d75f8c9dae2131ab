"""Pure: from an event and an integration to what is to be said to Adobe. No I/O lives here."""
