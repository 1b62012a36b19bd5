"""WeChat Official Account (服务号): sending, callbacks, envelope encryption, field rules, error table."""
