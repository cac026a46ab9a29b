-- A sidecar's outbound: the header as it is, else what the baggage says.
local find, match = string.find, string.match

function envoy_on_request(handle)
  local headers = handle:headers()
  local baggage = headers:get("baggage")
  if not baggage or not find(baggage, "release-track", 1, true) or headers:get("x-release-track") then
    return
  end
  local track = match("," .. baggage, ",[ \t]*release%-track[ \t]*=[ \t]*([%w._-]+)")
  if track then
    headers:replace("x-release-track", track)
  end
end
