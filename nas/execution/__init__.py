"""Where networks are trained: in this process, or in workers."""
