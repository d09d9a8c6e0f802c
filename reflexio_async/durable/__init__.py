"""What survives the process: the rows of jobs, batches and publishes, in one SQLite file or in Postgres."""
