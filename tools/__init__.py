"""What a person or CI runs beside the program itself."""
