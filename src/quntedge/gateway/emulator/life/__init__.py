"""What happens to memberships, payments and whatever else an account has, and what it sets off."""
