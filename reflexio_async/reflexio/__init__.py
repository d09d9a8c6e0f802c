"""The Reflexio service: its calls, its models, its kinds of job."""
