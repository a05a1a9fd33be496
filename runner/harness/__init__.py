"""Running an image under limits (engine, options, sandbox), and taking its result (sanitise)."""
