"""One function for each GraphQL operation: call one thing, answer in schema types."""
