"""The portal's views, one noun a file."""
