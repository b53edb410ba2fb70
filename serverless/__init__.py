"""The FaaS side: functions, the platforms that run them, the store they share, and the keeper."""
