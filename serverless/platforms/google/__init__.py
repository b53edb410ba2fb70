"""Google Cloud Functions (2nd gen), or embedded under the same functions-framework."""
