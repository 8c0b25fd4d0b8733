"""The routes of Whop's API, a module for each resource."""
