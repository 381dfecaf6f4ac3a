"""What a keeper holds: documents, their index, and how it ranks them."""
