package catalog

// Kept is how many products and pages a service keeps of the storefront.
func Kept(s *Service) int {
	s.shelf.mu.RLock()
	defer s.shelf.mu.RUnlock()
	n := len(s.shelf.pages)
	for _, p := range s.shelf.pages {
		n += len(p.Items)
	}
	return n
}
