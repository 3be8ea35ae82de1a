"""Answers in the shapes of the servers that users meet, to be changed here and there."""

DCACHE = """<?xml version="1.0" encoding="utf-8" ?>
<d:multistatus xmlns:cal="urn:ietf:params:xml:ns:caldav" xmlns:cs="http://calendarserver.org/ns/"
 xmlns:ns2="http://srm.lbl.gov/StorageResourceManager" xmlns:ns1="http://www.dcache.org/2013/webdav" xmlns:d="DAV:">
<d:response><d:href>/lst/</d:href><d:propstat><d:prop><d:resourcetype><d:collection/></d:resourcetype>
<d:getlastmodified>Sun, 22 Nov 2026 08:02:06 GMT</d:getlastmodified></d:prop><d:status>HTTP/1.1 200 OK</d:status>
</d:propstat><d:propstat><d:prop><d:getcontentlength/><ns1:Checksums/></d:prop>
<d:status>HTTP/1.1 404 Not Found</d:status></d:propstat></d:response>
<d:response><d:href>/lst/run%20%231.fits</d:href><d:propstat><d:prop><d:resourcetype/>
<d:getcontentlength>36</d:getcontentlength><d:getetag>"0000A1B2_12"</d:getetag>
<ns1:Checksums>adler32=d0d70d2d,md5=6bFxPbYg8eOhS2gS3lI/Sw==</ns1:Checksums>
<ns2:FileLocality>ONLINE_AND_NEARLINE</ns2:FileLocality></d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat>
</d:response></d:multistatus>"""
XROOTD = """<?xml version="1.0" encoding="utf-8"?>
<D:multistatus xmlns:D="DAV:" xmlns:ns1="http://apache.org/dav/props/" xmlns:ns0="DAV:">
<D:response xmlns:lp1="DAV:" xmlns:lp2="http://apache.org/dav/props/" xmlns:lp3="LCGDM:">
<D:href>/lst/p%41q a&amp;b[x]</D:href>
<D:propstat><D:prop><lp1:getcontentlength>4096</lp1:getcontentlength>
<lp1:getlastmodified>Sun, 22 Nov 2026 08:02:06 GMT</lp1:getlastmodified><lp1:iscollection>1</lp1:iscollection>
<lp1:resourcetype><D:collection/></lp1:resourcetype><lp1:executable>T</lp1:executable></D:prop>
<D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>
<D:response xmlns:lp1="DAV:"><D:href>/lst/\u00fc h#h</D:href><D:propstat><D:prop>
<lp1:getcontentlength>36</lp1:getcontentlength><lp1:iscollection>0</lp1:iscollection></D:prop>
<D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response></D:multistatus>"""
APACHE = """<?xml version="1.0" encoding="utf-8"?>
<D:multistatus xmlns:D="DAV:" xmlns:ns0="DAV:">
<D:response xmlns:lp1="DAV:" xmlns:lp2="http://apache.org/dav/props/" xmlns:g0="DAV:">
<D:href>/lst/%5bx%5d/</D:href><D:propstat><D:prop><lp1:resourcetype><D:collection/></lp1:resourcetype>
<lp1:creationdate>2026-11-22T08:02:06Z</lp1:creationdate><lp1:getetag>"1000-660d8e4bb395b"</lp1:getetag>
<D:lockdiscovery><D:activelock><D:lockroot><D:href>/lst/elsewhere</D:href></D:lockroot></D:activelock>
</D:lockdiscovery></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>
<D:propstat><D:prop><g0:iscollection/></D:prop><D:status>HTTP/1.1 404 Not Found</D:status></D:propstat></D:response>
</D:multistatus>"""
NGINX = """<?xml version="1.0" encoding="utf-8" ?>
<D:multistatus xmlns:D="DAV:">
<D:response>
<D:href>/lst/a%20b</D:href>
<D:propstat>
<D:prop>
<D:displayname>a b</D:displayname>
<D:getcontentlength>36</D:getcontentlength>
<D:getlastmodified>Sun, 22 Nov 2026 08:03:24 GMT</D:getlastmodified>
<D:resourcetype></D:resourcetype>
</D:prop>
<D:status>HTTP/1.1 200 OK</D:status>
</D:propstat>
</D:response>
</D:multistatus>"""
WSGIDAV = (
    "<?xml version='1.0' encoding='UTF-8'?>\n"
    '<ns0:multistatus xmlns:ns0="DAV:"><ns0:response><ns0:href>/lst/a%26b%2Bc%3Dd.fits</ns0:href><ns0:propstat>'
    "<ns0:prop><ns0:resourcetype/><ns0:getcontentlength>36</ns0:getcontentlength>"
    "<ns0:getlastmodified>Sun, 22 Nov 2026 08:02:19 GMT</ns0:getlastmodified>"
    "<ns0:getetag>2555918-1795334539-36</ns0:getetag></ns0:prop><ns0:status>HTTP/1.1 200 OK</ns0:status>"
    "</ns0:propstat></ns0:response></ns0:multistatus>"
)
ANSWERS = tuple(text.encode() for text in (DCACHE, XROOTD, APACHE, NGINX, WSGIDAV))

TOKENS = (
    *(
        b"<!--",
        b"-->",
        b"<![CDATA[",
        b"]]>",
        b"<?x ",
        b"?>",
        b"<!DOCTYPE x>",
        b'<!DOCTYPE x [<!ENTITY e "y">]>',
        b"&e;",
    ),
    *(b"&#0;", b"&#x2F;", b"&#55296;", b"&lt;", b"&amp;", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\xc0\xaf", b"\r\n"),
    *(b"<D:response>", b"</D:response>", b"<d:href>/lst/../x</d:href>", b"%2e%2e%2f", b"%00", b"%2F", b"..", b"/"),
    *(b"https://evil.example/", b"//evil.example/lst/x", b"200", b"404", b"HTTP/1.1 200", b"encoding='utf-16'"),
    *(b"iscollection", b"collection", b' xmlns="DAV:"', b"xmlns:d='urn:x'", b"-1", b"9" * 30, b"\xd9\xa3"),
)
"""Pieces that mean something somewhere."""

HREFS = (
    *("/lst/run", "https://door.example:2880/lst/run%20", "/lst/", "/lst/../x", "/lst/..", "/lst/%2e%2e/", "/lst/."),
    *(
        "/lst/a%2Fb",
        "//lst/x",
        "/lst/%00",
        "/lst/%0A",
        "/lst//",
        "/base/lst/x",
        "/lst%2Fx",
        "https://door.example/lst/x",
    ),
)
"""Hrefs of an entry of `/lst`, honest and not."""

LOCATIONS = (
    "https://pool.example:2881/lst/run?dcache-http-uuid=f81d4fae-7dec&dcache-http-ref=https%3A%2F%2Fdoor.example%3A2880",
    "https://[2001:db8::1]:21001/lst/run?dcache-http-uuid=f81d4fae",
    "http://192.0.2.7:21001/lst/run",
    "https://data.trusted.example:1095/lst/run?authz=Bearer%20an-opaque-token-0123456789",
    "https://user:wonderland@door.example:2880/lst/run",
    "/lst/run/",
    "//door.example:2880/lst/run",
    "https://door.example:2880\\.trusted.example/lst/run",
    "HTTPS://DOOR.EXAMPLE:2880/lst/run#fragment",
)
DIGESTS = (
    "adler32=d0d70d2d",
    "md5=6bFxPbYg8eOhS2gS3lI/Sw==,adler32=d0d70d2d",
    "adler=:0NcNLQ==:",
    "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:, adler32=00000001",
    "ADLER32=D0D70D2D;q=1",
)
RANGES = ("bytes 4-7/36", "bytes 32--1/36", "bytes */36", "bytes 0-3/*", "BYTES 4-7/36", "bytes=4-7/36")
DATES = (
    "Sun, 22 Nov 2026 08:02:06 GMT",
    "2026-11-22T08:02:06Z",
    "Sunday, 22-Nov-26 08:02:06 GMT",
    "Sun Nov 22 08:02:06 2026",
    "120",
)
REASONS = (
    "Found",
    "Permission denied",
    "Checksum mismatch (expected=[2:0], actual=[2:1])",
    "Request is no longer valid",
    "token an-opaque-token-0123456789 has expired",
    "cannot serve https://pool:1/x?dcache-http-uuid=f81d4fae-7dec-11d0&authz=Bearer%20an-opaque-token-0123456789",
)
