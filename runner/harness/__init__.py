"""Running an image under limits: limits, container engine, options, sandbox."""
