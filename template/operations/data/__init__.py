"""What the site keeps: backups of the database, uploads, the cache, and cleaning up after them."""
