"""What the Reflexio service stores."""
