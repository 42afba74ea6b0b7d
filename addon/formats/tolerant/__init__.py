"""Content as any format writes it: what a part, an item or a tool is is read from itself."""
