"""What a user does with the own account."""
