"""The restore drill, as operators and CI start it: a fork, the question, the report, and an end that leaves nothing."""
