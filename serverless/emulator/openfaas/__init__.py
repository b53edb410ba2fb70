"""The embedded server's API of OpenFaaS, and its watchdog."""
