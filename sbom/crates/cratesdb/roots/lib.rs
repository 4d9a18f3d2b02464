// Cargo resolves no package without a target.
