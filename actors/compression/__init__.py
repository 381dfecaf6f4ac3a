"""What makes a text shorter: which words are kept, which must be, and what that costs."""
