"""What outlives a request: blobs, results, uploaded files, the cache, and single flight."""
