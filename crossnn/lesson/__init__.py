"""The lesson 'imperative and symbolic computation': measured, judged by rules, and told in two languages."""
