"""A user's own Job in the foreground, like `docker run`: made, watched, heard and cleared away.

The cluster is told to end the Job by itself unless somebody says again and again that it is wanted
(`lease`), so that one whose caller is gone for good does not run on. Files that go in and come back
(`folder`) pass through containers of their own in the pod, of the same image.
"""
