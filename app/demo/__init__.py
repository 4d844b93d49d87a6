"""FicMart's orders, played over HTTP against a running system like any partner would, and told to a person."""
