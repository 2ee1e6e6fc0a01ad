"""What an edit is: request, parameters per edit type, content key, attempts, result."""
