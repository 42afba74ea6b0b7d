"""The books: exchanges are opened before they are sent, and settled once."""
