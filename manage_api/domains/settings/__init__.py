"""Settings, as an admin sees and changes them."""
