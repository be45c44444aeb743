"""The error codes of the guard's published wire (service `Guard`, schema 0.5.0): a table of its own.

Published clients know these numbers; those below 0 and from 7100 on are `errors.TABLE`'s, and mean the same here.
"""

from typing import Final

from protocol.errors import ErrorCode

UNAUTHORIZED: Final = ErrorCode("Unauthorized", 1000, 401, "Unauthorized access")
PERMISSION_DENIED: Final = ErrorCode("PermissionDenied", 1001, 403, "Permission denied")
SESSION_EXPIRED: Final = ErrorCode("SessionExpired", 1002, 403, "Session expired")
METHOD_NOT_FOUND: Final = ErrorCode("MethodNotFound", 1003, 404, "Method not found")
REQUEST_CONFLICT: Final = ErrorCode("RequestConflict", 1004, 409, "Conflict with target resource")
ABORTED: Final = ErrorCode("Aborted", 1005, 400, "Request aborted")
GEOBLOCKED: Final = ErrorCode("Geoblocked", 1006, 451, "Geoblocked region")
RATE_LIMITED: Final = ErrorCode("RateLimited", 1007, 429, "Rate-limited. Please slow down.")
INVALID_ARGUMENT: Final = ErrorCode("InvalidArgument", 2001, 400, "Invalid argument")
UNAVAILABLE: Final = ErrorCode("Unavailable", 2002, 400, "Unavailable resource")
QUERY_FAILED: Final = ErrorCode("QueryFailed", 2003, 400, "Query failed")
VALIDATION_FAILED: Final = ErrorCode("ValidationFailed", 2004, 422, "Validation Failed")
NOT_FOUND: Final = ErrorCode("NotFound", 3000, 400, "Resource not found")
REQUIRES_TOTP: Final = ErrorCode("RequiresTOTP", 6600, 403, "TOTP is required")
REQUIRES_PIN: Final = ErrorCode("RequiresPIN", 6601, 403, "PIN is required")

GUARD_TABLE: Final[tuple[ErrorCode, ...]] = tuple(v for v in globals().values() if isinstance(v, ErrorCode))
