"""What many tests need. Being here, it also lets them import `clips`."""
