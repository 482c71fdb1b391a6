"""Steps and splitters for scikit-learn's pipelines, searches and cross-validation."""
