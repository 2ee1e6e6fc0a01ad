"""Reading the words in pictures, and comparing them."""
