"""What is shipped into a function: handlers that know no platform, and what they need, kept light."""
