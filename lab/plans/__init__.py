"""Plans in JSON, made without Terraform: for the plan guard's tests and its benchmark."""
