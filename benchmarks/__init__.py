"""What each number in the README comes from; `README.md` in this folder explains them."""
