"""Content of any format: a part, an item or a tool tells by itself what it is."""
