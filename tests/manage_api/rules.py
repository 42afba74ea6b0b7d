"""Whom each route of the application is for."""

__all__ = ("OPEN_TO_BEGINNERS", "RULES", "SECRET")

SECRET = "a secret of more than thirty-two characters"
"""`JWT_SECRET` of an application whose session tokens a test makes itself."""

ROUTES = {
    "anybody": """
        GET /
        GET /api/config
        GET /doctor/stream
        GET /healthz
        GET /register
        GET /schema
        GET /schema/openapi.json
        GET /schema/swagger
        GET /schema/{path:str}
        GET /static/{name:path}
        POST /api/login
        POST /api/logout
        POST /doctor/v1/chat/completions
        POST /api/register
    """,
    "every caller": """
        GET /account
        GET /api/keys
        GET /api/me
        GET /api/my-conversations
        GET /api/my-requests
        GET /api/my-stats/daily
        GET /api/my-usage
        GET /conversations
        GET /conversations/{conversation:str}
        GET /dashboard
        GET /dashboard/keys
        GET /dashboard/keys/{key_id:int}
        GET /dashboard/requests
        GET /requests/{entry_id:int}
        GET /try
        POST /api/regenerate-key
    """,
    "every caller but inference keys": """
        DELETE /api/keys/{key_id:int}
        PATCH /api/keys/{key_id:int}
        PATCH /api/me
        POST /api/call-token
        POST /api/change-password
        POST /api/second-factor
        POST /api/second-factor/confirm
        POST /api/second-factor/remove
        POST /api/keys
    """,
    "admins": """
        DELETE /api/admin/keys/{key_id:int}
        DELETE /api/admin/lessons/{lesson_id:str}
        DELETE /api/admin/prices/{price_id:int}
        DELETE /api/admin/upstreams/{upstream_id:str}
        DELETE /api/admin/users/{user_id:int}
        DELETE /api/admin/users/{user_id:int}/second-factor
        GET /admin
        GET /admin/audit
        GET /admin/audit/{record_id:int}
        GET /admin/conversations
        GET /admin/health
        GET /admin/keys
        GET /admin/keys/{key_id:int}
        GET /admin/overview/feed
        GET /admin/overview/lately
        GET /admin/overview/running/{exchange:str}
        GET /admin/rewrites
        GET /admin/settings
        GET /admin/upstreams
        GET /admin/upstreams/new
        GET /admin/upstreams/prices
        GET /admin/upstreams/prices/form
        GET /admin/upstreams/{upstream_id:str}
        GET /admin/usage
        GET /admin/users
        GET /admin/users/new
        GET /admin/users/{user_id:int}
        GET /admin/users/{user_id:int}/keys
        GET /admin/users/{user_id:int}/keys/new
        GET /admin/users/{user_id:int}/quota
        GET /api/admin/audit
        GET /api/admin/audit/export
        GET /api/admin/audit/{record_id:int}
        GET /api/admin/backup
        GET /api/admin/conversations
        GET /api/admin/health
        GET /api/admin/keys
        GET /api/admin/lessons
        GET /api/admin/overview
        GET /api/admin/prices
        GET /api/admin/requests
        GET /api/admin/requests/live
        GET /api/admin/routes
        GET /api/admin/settings
        GET /api/admin/upstreams
        GET /api/admin/upstreams/{upstream_id:str}
        GET /api/admin/usage
        GET /api/admin/users
        GET /api/admin/users/export
        GET /api/admin/users/{user_id:int}
        GET /api/admin/users/{user_id:int}/keys
        GET /setup
        GET /setup/first-request
        PATCH /api/admin/keys/{key_id:int}
        PATCH /api/admin/users/{user_id:int}
        POST /api/admin/prices
        POST /api/admin/upstreams
        POST /api/admin/upstreams/test
        POST /api/admin/upstreams/{upstream_id:str}/move
        POST /api/admin/upstreams/{upstream_id:str}/test
        POST /api/admin/users
        POST /api/admin/users/{user_id:int}/keys
        POST /api/admin/users/{user_id:int}/quota
        POST /api/admin/users/{user_id:int}/reset-password
        PUT /api/admin/prices/{price_id:int}
        PUT /api/admin/settings
        PUT /api/admin/upstreams/{upstream_id:str}
    """,
}
RULES = {
    route.strip(): rule for rule, routes in ROUTES.items() for route in routes.strip().splitlines()
}
"""By method and path."""

OPEN_TO_BEGINNERS = {"GET /account", "GET /api/me", "GET /setup", "POST /api/change-password"}
"""What an account with the well-known password may do beside what is for anybody."""
